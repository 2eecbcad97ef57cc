"""Which training rows become few-shot examples: one file per selector."""
