"""Immutable datasets and models as pytrees over the kernels; files, units and axes at the edge."""
