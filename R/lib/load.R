# An interactive session: source("R/lib/load.R") from R or RStudio, then
#
#   > run <- load_run("results/mine")    run$fit_irt$arc: tables by stage
#   > work_on(run, "arc")                responses, parameters: by name
#
# After work_on() a stage, say R/fit_readout.R, can be run line by line: it
# takes the options with which the run called it. See docs/statisticians.md.

local({
  sourced <- Filter(
    Negate(is.null),
    lapply(sys.frames(), \(frame) frame$ofile)
  )
  if (length(sourced) == 0) {
    stop("read this file by source(\"R/lib/load.R\"), not line by line")
  }
  folder <- dirname(sourced[[length(sourced)]])
  # On the search path, so that the workspace holds what the user makes.
  if ("itemwise" %in% search()) {
    detach("itemwise", character.only = TRUE)
  }
  library <- attach(NULL, name = "itemwise")
  for (file in setdiff(list.files(folder, "\\.R$"), "load.R")) {
    sys.source(file.path(folder, file), library, keep.source = TRUE)
  }
  registerS3method("print", "itemwise_run", library$print.itemwise_run)
  library$use_utf8() # before the path, which may hold any character
  options(itemwise.root = library$full_path(file.path(folder, "../..")))
})
