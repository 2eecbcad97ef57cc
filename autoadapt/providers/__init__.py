"""Where a model's answers come from when it is not local: servers that speak OpenAI's HTTP interface."""
