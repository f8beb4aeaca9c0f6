"""Where bars and features are kept: `Manifest` names files, `BarStore` keeps bars, `Lake` keeps features."""
