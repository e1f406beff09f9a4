// Package docs tests what the pages, the examples, the files of deploy/ and the
// module's structure promise.
package docs
