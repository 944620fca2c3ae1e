"""From a backbone to a fitted model: resolve, build, fit, save, load, predict."""
