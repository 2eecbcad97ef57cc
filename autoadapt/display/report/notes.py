"""Fixed texts of the report."""

TABS = (
    *(("verdict", "Verdict"), ("frontier", "Frontier"), ("money", "Money"), ("latency", "Latency")),
    *(("parameters", "Parameters"), ("trials-tab", "Trials"), ("answers", "Answers"), ("appendix", "Reproduce")),
)
"""Id and title of every tab."""
DEFINITIONS = (
    "Quality is the task's metric on validation rows, with a 95 % interval (Wilson for shares of right answers, BCa "
    "bootstrap over rows otherwise). The frontier is chosen by expected quality, which corrects lucky measurements.",
    "Test scores are computed on rows that the search never used; frontier options were scored on them once. Their "
    "intervals are those of the weights at hand; training again gives others: with evaluation.seeds above 1 this "
    "variation is measured.",
    "The gain of the search is the recommended option against the best of the candidates that the study began with, by "
    "expected quality on validation rows. It is called better only where the 95 % interval of the difference on the "
    "same test rows lies above 0 and the paired test finds it (p below 5 %).",
    "Two options are tied when neither validation nor test rows show a difference: the quality of the one lies within "
    "the 95 % interval of the best, and a paired test on test rows is not significant (McNemar's exact test, or a "
    "permutation test; Holm's correction).",
    "The expected optimism of the recommended option is a bootstrap of its choice over validation rows: how much "
    "higher the option that is chosen on the rows drawn scores there than on all rows. Its range is that of its "
    "validation score, moved by so much.",
    "The cost of 1,000 queries is the device time of answering at the throughput of batches, plus what providers "
    "billed, plus the option's own training spread over the queries of the horizon.",
    "Latency is the p95 of single requests during the search; for frontier options it is the p95 under load, measured "
    "at the end. A p95 needs 59 samples, a p99 needs 299.",
    "A cascade asks its second part only where the calibrated confidence of its first part is below a threshold: the "
    "one that keeps most rows of those by which validation rows assure that no more than a point is lost (tests in a "
    "fixed order at 10 %). Its quality on validation rows is that of thresholds chosen on other rows; test rows decide "
    "only whether it is shown. Its cost is the expected one, its latency that of the mixture; both parts are paid for.",
    "The calibration error is the mean difference of confidence and score in bins of equally many test rows, in points "
    "before and after dividing log-probabilities by one temperature (Guo et al. 2017), fitted on validation rows.",
    "Parameter importances are fANOVA (Hutter et al. 2014) over complete trials of one method; objectives on a "
    "logarithmic scale enter by their logarithm.",
)
"""How the figures are computed."""
ABSENT = {
    "learning": "No learning curve was measured: it is trained at the end of a search if the budget allows it.",
    "loss": "No option of the frontier was trained.",
    "differences": "Options are compared on test rows at the end of a search, if there is more than one.",
    "latency": "No request was timed.",
    "importance": "There are no importances: they need four complete trials that differ.",
    "parameters": "There are fewer than two trials to draw.",
}
"""Kind of figure -> text in its place when there is nothing to draw."""
