"""The rules of detection, D1 to D14: each one small class that looks at one thing."""
