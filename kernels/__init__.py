"""Pure array kernels: formulas of the field as jit-able functions of arrays in TeV, cm, s."""
