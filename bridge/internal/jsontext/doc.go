// Package jsontext appends members of JSON objects.
package jsontext
