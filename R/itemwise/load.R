# The functions of this package, for a stage or a session, as the files have
# them now. Each stage begins with the line that reads this file. In a session:
#
#   > source("R/itemwise/load.R")
#   > run <- load_run("results/mine")    run$fit_irt$arc: tables by stage
#   > work_on(run, "arc")                responses, parameters: by name
#
# After work_on() a stage, say R/fit_readout.R, can be run line by line: it
# takes the options with which the run called it. See docs/statisticians.md.

local({
  sourced <- Filter(Negate(is.null), lapply(sys.frames(), \(f) f$ofile))
  if (length(sourced) == 0) {
    stop("read this file by source(\"R/itemwise/load.R\"), not line by line")
  }
  folder <- dirname(sourced[[length(sourced)]])
  # On the search path, so that the workspace holds what the user makes.
  if ("itemwise" %in% search()) {
    detach("itemwise", character.only = TRUE)
  }
  library <- attach(NULL, name = "itemwise")
  read <- \(file) source(file, library, keep.source = interactive())
  # The command comes first into the log, whatever R cannot parse.
  read(file.path(folder, "R/command.R"))
  library$log_command()
  lapply(list.files(file.path(folder, "R"), "\\.R$", full.names = TRUE), read)
  registerS3method("print", "itemwise_run", library$print.itemwise_run)
  options(itemwise.root = library$full_path(file.path(folder, "../..")))
})
