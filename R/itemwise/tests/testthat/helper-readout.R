# Subjects that a read-out is fitted to, and those that judge it.
in_set <- function(data, set) data[data$set == set, ]

# Other subjects by a read-out, as the workflow predicts them from its tables.
predict_others <- function(fit, data) {
  data$predicted <- predict_score(fit$model, data, fit$predictions)
  half <- fit$quantile * fit$scale(data$predicted)
  data$lower <- clamp(data$predicted - half, c(0, 100))
  data$upper <- clamp(data$predicted + half, c(0, 100))
  data
}

# RMSE of a read-out over other subjects, in points.
rmse_of <- function(fit, data) accuracy(predict_others(fit, data))$rmse
