SELECT day, step FROM folds FINAL WHERE step < 3 ORDER BY day
