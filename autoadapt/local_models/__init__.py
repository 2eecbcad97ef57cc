"""What families of models on this machine share: loading, training, adapters, features and heads, artifacts."""
