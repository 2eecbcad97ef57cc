"""A bundle behind HTTP: requests that wait form a batch; limits, metrics and a page to try it."""
