package actions

import (
	"strconv"
	"strings"
	"testing"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/catalog"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/harness"
	"github.com/ami-nats-bridge/ami-nats-bridge/integration/realasterisk"
)

// The catalog knows each Action of a real Asterisk by its very spelling, that
// this version has it, and each header that this version documents.
func TestReal_CatalogKnowsEveryActionAndHeader(t *testing.T) {
	realasterisk.Each(t, func(t *testing.T, a *realasterisk.Instance) {
		a.NeedsOwn(t)
		c, err := a.Actions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		actions, headers := listCommands(t, c), 0
		versions := catalogVersions(t)
		for _, action := range actions {
			// An Action that is not known comes back as it was asked for.
			if got := catalog.Canonical(strings.ToLower(action)); got != action {
				t.Errorf("%s is spelled %s in the catalog", action, got)
			}
			if !hasVersion(versions[action], a.Version()) {
				t.Errorf("%s is of Asterisk %s in the catalog, and this is %s", action, versions[action], a.Version())
			}
			documented := documentedHeaders(t, c, action)
			headers += len(documented)
			if err := catalog.Check(action, documented); err != nil {
				t.Error(err)
			}
		}
		t.Logf("Asterisk %s: %d Actions, %d documented headers", a.Version(), len(actions), headers)
		if len(actions) < 100 || headers < 300 {
			t.Errorf("only %d Actions with %d headers: this test no longer reads what Asterisk says", len(actions), headers)
		}
	})
}

// listCommands returns the names of the Actions that Asterisk has.
func listCommands(t *testing.T, c *realasterisk.Client) (actions []string) {
	t.Helper()
	reply, err := c.Do(t.Context(), "Action: ListCommands")
	if err != nil || len(reply) != 1 {
		t.Fatalf("ListCommands: %v, %d frames", err, len(reply))
	}
	for _, line := range reply[0].Lines() {
		name, rest, _ := strings.Cut(line, ":")
		if strings.Contains(rest, "(Priv:") {
			actions = append(actions, name)
		}
	}
	return actions
}

// documentedHeaders returns what the section Syntax of an Action's
// documentation has: "Channel: <value>", "[Timeout:] <value>".
func documentedHeaders(t *testing.T, c *realasterisk.Client, action string) (headers []string) {
	t.Helper()
	reply, err := c.Do(t.Context(), "Action: Command", "Command: manager show command "+action)
	if err != nil || len(reply) != 1 {
		t.Fatalf("manager show command %s: %v, %d frames", action, err, len(reply))
	}
	_, syntax, ok := strings.Cut(string(reply[0]), "[Syntax]\r\n")
	if !ok {
		t.Errorf("%s has no syntax:\n%s", action, reply[0])
	}
	syntax, _, _ = strings.Cut(syntax, "Output: \r\n")
	for line := range strings.SplitSeq(syntax, "\r\n") {
		if name, isHeader := strings.CutSuffix(strings.TrimPrefix(line, "Output: "), " <value>"); isHeader {
			headers = append(headers, strings.Trim(name, "[]:"))
		}
	}
	return headers
}

// catalogVersions returns the catalog's second column.
func catalogVersions(t *testing.T) map[string]string {
	versions := map[string]string{}
	for line := range strings.Lines(harness.ReadText(t, harness.Root(t), "bridge/catalog/actions.tsv")) {
		if f := strings.Fields(line); !strings.HasPrefix(line, "#") {
			versions[f[0]] = f[1]
		}
	}
	return versions
}

// hasVersion reports whether versions, such as 16,18..23, has that version.
func hasVersion(versions, version string) bool {
	major, _, _ := strings.Cut(version, ".")
	v, _ := strconv.ParseFloat(major, 64)
	for part := range strings.SplitSeq(versions, ",") {
		from, to, isRange := strings.Cut(part, "..")
		if !isRange {
			to = from
		}
		first, _ := strconv.ParseFloat(from, 64)
		last, _ := strconv.ParseFloat(to, 64)
		if first <= v && v <= last {
			return true
		}
	}
	return false
}
