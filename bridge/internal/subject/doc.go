// Package subject makes the subjects of one server.
package subject
