# Makes man/ and NAMESPACE from R/, against an installed riffle when there is one of this source.
roxygen2::roxygenise(load_code = roxygen2::load_source)
