# Every function of the library says what it takes and returns.

functions_of <- function(file) {
  lines <- readLines(file, encoding = "UTF-8")
  parsed <- parse(file, keep.source = TRUE)
  starts <- vapply(attr(parsed, "srcref"), \(ref) ref[1], 0L)
  is_function <- vapply(
    parsed,
    \(call) {
      is.call(call) &&
        identical(call[[1]], as.name("<-")) &&
        is.call(call[[3]]) &&
        identical(call[[3]][[1]], as.name("function"))
    },
    NA
  )
  Map(
    \(call, start) {
      above <- rev(lines[seq_len(start - 1)])
      block <- above[cumall(startsWith(above, "#'"))]
      list(
        name = as.character(call[[2]]),
        arguments = as.character(names(call[[3]][[2]])),
        block = paste(rev(block), collapse = "\n")
      )
    },
    as.list(parsed)[is_function],
    starts[is_function]
  )
}

cumall <- function(x) cumsum(!x) == 0

documented <- function(block) {
  names <- regmatches(
    block,
    gregexpr("(?<=@param )[\\w.,]+", block, perl = TRUE)
  )
  as.character(unlist(strsplit(names[[1]], ",")))
}

files <- list.files(file.path(root, "R/lib"), "\\.R$", full.names = TRUE)

test_that("every function documents its arguments and its value", {
  for (file in files) {
    for (found in functions_of(file)) {
      where <- paste0(basename(file), ": ", found$name)
      expect_match(found$block, "@return", info = where)
      if (!grepl("@inheritParams", found$block)) {
        expect_setequal(documented(found$block), found$arguments)
      }
    }
  }
})

test_that("statistical functions name their formula and their reference", {
  published <- list(
    cat.R = "simulate_cats",
    compare.R = "compare_readouts",
    factors.R = "fit_factors",
    fit_check.R = c("mean_squares", "cube_root_z", "zh"),
    irt_likelihood.R = c("marginal_log_likelihood", "expected_counts"),
    irt_score.R = "score_mirt",
    linear.R = "fit_ridge",
    model_check.R = c("s_x2", "m2", "q3"),
    readout.R = c("error_scale", "conformal_quantile", "fit_readout"),
    screen.R = "screen_rules"
  )
  for (file in names(published)) {
    blocks <- functions_of(file.path(root, "R/lib", file))
    names(blocks) <- vapply(blocks, `[[`, "", "name")
    for (name in published[[file]]) {
      where <- paste0(file, ": ", name)
      expect_match(blocks[[name]]$block, "eqn\\{", info = where)
      expect_match(blocks[[name]]$block, "@references", info = where)
    }
  }
})
