SUFFIX = "helped"
