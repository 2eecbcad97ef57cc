"""From task.yaml to a resolved task: read and split data, compose the space, look prices up."""
