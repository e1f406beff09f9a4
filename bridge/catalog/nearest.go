package catalog

import "strings"

// maxCompared is how much of a name Nearest looks at, in bytes: longer ones
// cost time and are like nothing.
const maxCompared = 64

// Nearest returns the candidate with the least edits from name, the first of
// several, "" of none. Case is no edit.
func Nearest(name string, candidates []string) string {
	name = strings.ToLower(name[:min(len(name), maxCompared)])
	best, least := "", -1
	for _, c := range candidates {
		if d := distance(name, strings.ToLower(c)); least < 0 || d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
