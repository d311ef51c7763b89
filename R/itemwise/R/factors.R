# What benchmarks have in common: exploratory factor analysis.

#' Put the values of all benchmarks side by side
#'
#' @param tables List of data frames with `subject` and `value`, one a
#'   benchmark, named.
#' @return Numeric matrix of the subjects that every benchmark has (row names)
#'   by benchmarks; a user error when they are fewer than 50 or a column does
#'   not vary.
#' @noRd
common_values <- function(tables) {
  if (length(tables) < 3) {
    user_error(
      "--benchmarks: ",
      length(tables),
      " given; a factor needs at least 3 variables to be identified"
    )
  }
  subjects <- Reduce(intersect, lapply(tables, `[[`, "subject"))
  if (length(subjects) < 50) {
    user_error(
      length(subjects),
      " subjects have values of all benchmarks; factor analysis needs at ",
      "least 50"
    )
  }
  values <- vapply(
    tables,
    \(table) table$value[match(subjects, table$subject)],
    numeric(length(subjects))
  )
  rownames(values) <- subjects
  constant <- apply(values, 2, \(column) stats::sd(column) == 0)
  if (any(constant)) {
    user_error(
      "benchmark ",
      format_list(names(tables)[constant]),
      ": all subjects have the same value; leave the benchmark out"
    )
  }
  values
}

#' Say why factors cannot be analysed
#'
#' @param measures Named list of measures, of which `scores` is one: lists of
#'   tables as for [common_values()], of training subjects.
#' @return A sentence; `NULL` where nothing is in the way, or another fault is
#'   for [common_values()] to name.
#' @noRd
factor_obstacle <- function(measures) {
  scored <- lapply(measures$scores, `[[`, "subject")
  n <- vapply(
    measures,
    \(tables) {
      each <- c(scored, lapply(tables, `[[`, "subject"))
      length(Reduce(intersect, each))
    },
    0L
  )
  if (length(scored) < 3 || min(n) >= 50) {
    return(NULL)
  }
  paste0(
    "The factor analysis is left out: ",
    min(n),
    " training models have every benchmark, and it needs at least 50."
  )
}

#' Largest number of factors that p variables can identify
#'
#' \deqn{((p - m)^2 - p - m) / 2 \ge 0, \qquad m < p}
#'
#' @param p Variables, at least 3.
#' @param most Wanted factors.
#' @return Integer.
#' @noRd
most_factors <- function(p, most) {
  m <- seq_len(min(most, p - 1))
  max(m[((p - m)^2 - p - m) / 2 >= 0])
}

#' Fit one factor solution
#'
#' Minimum residuals (Harman & Jones 1966), oblimin rotation, by psych::fa on
#' the correlation matrix.
#' \deqn{CFI = 1 - \max(\chi^2 - df, 0) / \max(\chi_0^2 - df_0, \chi^2 - df, 0)}
#'
#' @param values Matrix from `common_values()`.
#' @param m Number of factors.
#' @return List of `loadings` (benchmarks by factors, the factor that explains
#'   most first), `weights` (of standardised values, for regression scores) and
#'   `record`.
#' @references Harman H. H. & Jones W. H. (1966). Factor analysis by minimizing
#'   residuals (minres). Psychometrika 31, 351-368.
#'
#'   Bentler P. M. (1990). Comparative fit indexes in structural models.
#'   Psychological Bulletin 107, 238-246.
#' @export
fit_factors <- function(values, m) {
  if (!requireNamespace("psych", quietly = TRUE)) {
    user_error(
      "R package psych is not installed; install r-cran-psych and ",
      "r-cran-gparotation (Debian), or psych and GPArotation from CRAN"
    )
  }
  correlation <- stats::cor(values)
  # psych warns of Heywood cases, which the record states.
  fit <- suppressWarnings(suppressMessages(psych::fa(
    correlation,
    nfactors = m,
    n.obs = nrow(values),
    fm = "minres",
    rotate = if (m > 1) "oblimin" else "none"
  )))
  loadings <- unclass(fit$loadings)[, seq_len(m), drop = FALSE]
  # A factor has no direction of its own: most of it points upwards.
  turn <- ifelse(colSums(loadings) < 0, -1, 1)
  loadings <- sweep(loadings, 2, turn, `*`)
  excess <- max(fit$STATISTIC - fit$dof, 0)
  among <- if (m > 1) turn * t(turn * fit$Phi) else diag(1)
  list(
    loadings = loadings,
    weights = solve(correlation, loadings %*% among),
    record = list(
      n_factors = m,
      n_subjects = nrow(values),
      variance = unname(as.matrix(fit$Vaccounted)["Proportion Var", ]),
      chi_square = fit$STATISTIC,
      df = fit$dof,
      # With no degree of freedom left there is nothing to judge a fit by.
      rmsea = if (fit$dof > 0) unname(fit$RMSEA[1]),
      tli = if (fit$dof > 0) fit$TLI,
      cfi = if (fit$dof > 0) {
        1 - excess / max(fit$null.chisq - fit$null.dof, excess, 1e-12)
      },
      rmsr_corrected = if (fit$dof > 0) fit$crms,
      heywood = as.list(rownames(loadings)[
        apply(abs(loadings) > 1, 1, any)
      ])
    )
  )
}

#' Correlate the first factor with the overall mean of full scores
#'
#' @param fit List from [fit_factors()].
#' @param train,values Matrices from [common_values()]: what the factors were
#'   fitted to, and the subjects to correlate over.
#' @param overall Mean full score along the rows of `values`, in points.
#' @return Spearman's correlation.
#' @noRd
factor_and_overall <- function(fit, train, values, overall) {
  standard <- scale(values, colMeans(train), apply(train, 2, stats::sd))
  score <- drop(standard %*% fit$weights[, 1])
  stats::cor(score, overall, method = "spearman")
}

#' Analyse one measure with one to several factors
#'
#' @param measure `"scores"`, `"abilities"` or `"form_abilities"`.
#' @param train,test Matrices of the subjects that factors are fitted to, and
#'   of those that the first factor is related to the overall mean over.
#' @param overall Named mean full scores of all subjects, in points.
#' @param most Largest number of factors.
#' @return List of `loadings` (table) and `solutions` (records).
#' @noRd
analyze_measure <- function(measure, train, test, overall, most) {
  fits <- lapply(seq_len(most_factors(ncol(train), most)), \(m) {
    fit_factors(train, m)
  })
  tables <- lapply(fits, \(fit) {
    m <- ncol(fit$loadings)
    data.frame(
      measure = measure,
      n_factors = m,
      benchmark = rep(rownames(fit$loadings), m),
      factor = rep(seq_len(m), each = nrow(fit$loadings)),
      loading = as.vector(fit$loadings)
    )
  })
  solutions <- lapply(fits, \(fit) {
    c(
      fit$record,
      list(
        spearman_overall = factor_and_overall(
          fit,
          train,
          test,
          overall[rownames(test)]
        ),
        n_overall = nrow(test)
      )
    )
  })
  list(loadings = do.call(rbind, tables), solutions = solutions)
}
