package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// query is what a PromQL expression names. Reading tokens is enough to know,
// and spares the module Prometheus itself, whose parser is no library; what
// this takes is a little more than PromQL.
type query struct {
	metrics []string
	labels  []string // in matchers, by, on and the like
	values  []string // label=value of matchers; a regular expression's branches are one each
}

var (
	token = regexp.MustCompile(`^(?:\s+|"(?:[^"\\]|\\.)*"|'[^']*'|[0-9][0-9.]*[a-z]*|[a-zA-Z_:$][\w:$]*|=~|!~|!=|==|>=|<=|[-+*/%^=<>(){}\[\],@])`)
	name  = regexp.MustCompile(`^[a-zA-Z_:]`)

	// The functions, aggregations and words that the project's queries use.
	functions = strings.Fields("absent avg count histogram_quantile increase label_values max max_over_time min rate sum vector")
	grouping  = strings.Fields("by without on ignoring group_left group_right")
	operators = strings.Fields("and or unless bool offset")
)

// parseQuery reads an expression, or Grafana's label_values of one.
func parseQuery(expr string) (q query, err error) {
	tokens, err := tokens(expr)
	if err != nil {
		return q, err
	}
	var open []string // brackets that are not closed yet; "by(" is a list of labels
	at := func(i int) string {
		if i < 0 || i >= len(tokens) {
			return ""
		}
		return tokens[i]
	}
	top := func() string { return last(open) }
	for i, t := range tokens {
		switch {
		case t == "(" && slices.Contains(grouping, at(i-1)):
			open = append(open, "by(")
		case t == "(" || t == "{" || t == "[":
			open = append(open, t)
		case t == ")" || t == "}" || t == "]":
			want := map[string]string{"(": ")", "by(": ")", "{": "}", "[": "]"}[top()]
			if want != t {
				return q, fmt.Errorf("%q closes %q in %s", t, top(), expr)
			}
			open = open[:len(open)-1]
		case !name.MatchString(t):
		case top() == "{":
			if !slices.Contains([]string{"=", "!=", "=~", "!~"}, at(i+1)) || !strings.HasPrefix(at(i+2), `"`) {
				return q, fmt.Errorf("no matcher follows %q in %s", t, expr)
			}
			q.labels = append(q.labels, t)
			for value := range strings.SplitSeq(strings.Trim(at(i+2), `"`), "|") {
				q.values = append(q.values, t+"="+value)
			}
		case top() == "by(", at(0) == "label_values" && at(i-1) == "," && len(open) == 1:
			q.labels = append(q.labels, t)
		case slices.Contains(grouping, t) || slices.Contains(operators, t):
		case at(i+1) == "(" || slices.Contains(grouping, at(i+1)):
			if !slices.Contains(functions, t) {
				return q, fmt.Errorf("%q is no function that this test knows, in %s", t, expr)
			}
		default:
			q.metrics = append(q.metrics, t)
		}
	}
	if len(open) > 0 {
		return q, fmt.Errorf("%q is not closed in %s", open, expr)
	}
	return q, nil
}

// last is the last of list, or "".
func last(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

// tokens splits an expression and leaves out the blanks.
func tokens(expr string) (all []string, err error) {
	for rest := expr; rest != ""; {
		t := token.FindString(rest)
		if t == "" {
			return nil, fmt.Errorf("no token at %q in %s", rest, expr)
		}
		rest = rest[len(t):]
		if strings.TrimSpace(t) != "" {
			all = append(all, t)
		}
	}
	return all, nil
}
