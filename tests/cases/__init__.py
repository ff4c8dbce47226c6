"""Builders of data and models that tests share."""
