// Package name reads the names of Actions, servers and headers, each once into a type
// or a verdict of its own, so that all who judge one read the same.
package name
