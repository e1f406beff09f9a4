// Package env reads the program's settings: from the environment, and from the file
// that BRIDGE_ENV_FILE names, into the configurations of the bridge and of the
// program itself. It names everything that is wrong at once and prints no secret.
//
// It is not where a setting's bounds are: those are of the package whose setting it
// is (bridge, amiconn). It starts no goroutine. Load is what crosses its seam, with
// the Settings that it returns and the Rows of the table that `config` prints.
package env
