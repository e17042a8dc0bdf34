"""Sequential detectors: pure, one a file; numpy, scipy and scikit-learn only."""
