package main

import (
	"maps"
	"slices"
)

func names[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
