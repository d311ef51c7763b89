library(testthat)
library(itemwise)

test_check("itemwise")
