"""Fixed texts of the report."""

TABS = (
    *(("options", "Options"), ("money", "Money"), ("latency", "Speed"), ("answers", "Answers")),
    *(("search", "The search"), ("trials-tab", "All trials"), ("appendix", "Reproduce")),
)
"""Id and title of every tab."""
GLOSSARY = (
    (
        "Test rows",
        "Rows that the search never used. Options were scored on them once, at the end, so that their "
        "figures are not too good.",
    ),
    ("Validation rows", "Rows by which the search chose. The best of many scores on them is a little too high."),
    (
        "Interval [a to b]",
        "With so few rows chance plays a part. In 95 of 100 cases the real quality is between a "
        "and b. (Wilson for shares of right answers, a bootstrap over rows otherwise.)",
    ),
    ("Points", "Hundredths of quality: from 0.80 to 0.83 are three points."),
    (
        "Tied",
        "Two options of which the rows do not show that one is better (McNemar's test or a permutation test on "
        "the same rows, with Holm's correction).",
    ),
    ("p", "How often chance alone would show so great a difference. Below 0.05 it is taken to be real."),
    (
        "The floor",
        "The best of methods that take seconds, such as counts of words. What does not beat it is not worth its cost.",
    ),
    (
        "Frontier",
        "The options that no other one beats in everything: whoever wants more of one thing has to give up another.",
    ),
    ("Dominated", "Another option is at least as good in everything, and better in something."),
    (
        "95 % of answers within",
        "The 95th percentile of latency (p95): one answer in twenty takes longer. It needs 59 "
        "measured answers. For options tested under load it includes waiting for other requests.",
    ),
    (
        "Paid by use, rented day and night",
        "By use, only the seconds in which answers are computed are paid for. "
        "Rented, whole devices are paid for around the clock, however little they do. Both contain training, spread "
        "over the months of the task.",
    ),
    ("Cascade", "Two options in a row: the second one answers only what the first one is not sure of."),
    (
        "Spread of wordings",
        "Standard deviation of quality among other wordings of a prompt (instruction, order of labels, separators, "
        "examples), without the differences that come from few rows alone.",
    ),
    (
        "Typing errors",
        "By how many points quality changes where one word in ten of a row, and at least one, has a typing error.",
    ),
    (
        "Calibration",
        "Whether answers of 80 % confidence are right in 80 % of cases. Two numbers are the average error "
        "in points, as the model states it and after correction by one factor (temperature).",
    ),
    (
        "Hypervolume",
        "One number for how good a set of options is in all objectives together, from 0 to 1. It rises "
        "when the search finds something that was not there before.",
    ),
    ("Importance", "How much of the differences between trials a setting explains (fANOVA, Hutter et al. 2014)."),
)
"""What words and figures mean."""
ABSENT = {
    "learning": "Whether more rows would help is not known: no learning curve was measured.",
    "loss": "No option on the frontier was trained by gradient.",
    "differences": "Options are compared on test rows at the end of a search, if there is more than one.",
    "latency": "No request was timed.",
    "importance": "No importances: they need four trials measured in full that differ.",
    "parameters": "",
}
"""Kind of figure -> text in its place when there is nothing to draw."""
