"""Fits: parameters, joint objective, optimisers, errors."""
