"""L-BFGS-B for many independent problems at once. It knows nothing of networks or images."""
