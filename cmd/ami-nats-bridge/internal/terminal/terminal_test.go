package terminal

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// members is a reply of QueueStatus, wider than most terminals.
func members() *Table {
	return &Table{
		Indent: "  ", Head: []string{"Name", "Paused", "Location", "LastCall"},
		Rows: [][]string{
			{"山田太郎", "1", "Local/4930123456789@agents-of-the-night/n", "1763980000"},
			{"Zoe\u0308", "0", "PJSIP/zoe", "0"},
			{"👩 Ops", "0", "PJSIP/ops", "0"},
		},
	}
}

func TestTable_FitsAndCountsWideCharacters(t *testing.T) {
	for _, test := range []struct {
		width int
		left  []string
		want  string
	}{
		{0, nil, `  Name      Paused  Location                                   LastCall
  山田太郎  1       Local/4930123456789@agents-of-the-night/n  1763980000
  Zoë      0       PJSIP/zoe                                  0
  👩 Ops    0       PJSIP/ops                                  0
`},
		{50, nil, `  Name      Paused  Location            LastCall
  山田太郎  1       Local/49301234567…  1763980000
  Zoë      0       PJSIP/zoe           0
  👩 Ops    0       PJSIP/ops           0
`},
		{40, []string{"LastCall"}, `  Name      Paused  Location
  山田太郎  1       Local/4930123456789…
  Zoë      0       PJSIP/zoe
  👩 Ops    0       PJSIP/ops
`},
		{18, []string{"Location", "LastCall"}, "  Name      Paused\n  山田太郎  1\n  Zoe\u0308       0\n  👩 Ops    0\n"},
		{6, []string{"Paused", "Location", "LastCall"}, "  Name\n  山…\n  Zoe\u0308\n  👩 …\n"},
	} {
		var out strings.Builder
		left, err := Screen{Width: test.width}.PrintTable(&out, members())
		if want := strings.ReplaceAll(test.want, "Zoë ", "Zoe\u0308  "); err != nil || out.String() != want || !slices.Equal(left, test.left) {
			t.Errorf("in %d columns\n%swant\n%sleft out %q, %v", test.width, &out, want, left, err)
		}
		for line := range strings.Lines(out.String()) {
			if width := Width(strings.TrimSuffix(line, "\n")); test.width > 0 && width > test.width {
				t.Errorf("%q has %d columns, over %d", line, width, test.width)
			}
		}
	}
}

// What the columns are can be read however many there are, and of the first so much that its
// cells can be told apart: sooner columns are left out.
func TestTable_HeadsAndTheFirstColumnStay(t *testing.T) {
	table := &Table{Head: []string{"Channel", "ConnectedLineNum", "ConnectedLineName", "BridgeUniqueid", "Context"}}
	for i := range 2 {
		table.Rows = append(table.Rows, []string{"Local/4930123456789@agents-of-the-night-0000000" + strings.Repeat("1", i+1), strings.Repeat("1", 20), "Wang", strings.Repeat("a", 36), "from-internal"})
	}
	for _, test := range []struct {
		width int
		left  string
	}{{200, ""}, {120, ""}, {90, ""}, {76, "Context"}, {60, "BridgeUniqueid Context"}, {40, "ConnectedLineName BridgeUniqueid Context"}, {30, "ConnectedLineNum ConnectedLineName BridgeUniqueid Context"}} {
		var out strings.Builder
		left, err := Screen{Width: test.width}.PrintTable(&out, table)
		head, rows, _ := strings.Cut(out.String(), "\n")
		want := strings.Join(table.Head[:len(table.Head)-len(left)], " ")
		if err != nil || strings.Join(left, " ") != test.left || strings.Join(strings.Fields(head), " ") != want {
			t.Errorf("in %d columns %q, left out %q, %v", test.width, head, left, err)
		}
		if first, _, _ := strings.Cut(rows, "  "); Width(first) < test.width/4 && !strings.HasPrefix(first, table.Rows[0][0]) {
			t.Errorf("in %d columns the first is %q", test.width, first)
		}
		for line := range strings.Lines(out.String()) {
			if width := Width(strings.TrimSuffix(line, "\n")); width > test.width {
				t.Errorf("%q has %d columns, over %d", line, width, test.width)
			}
		}
	}
}

func TestLine_IsCutToTheScreenAndColoured(t *testing.T) {
	line := Line{{Dim, "10:00 "}, {Plain, "Hangup "}, {Bad, "山田太郎"}}
	for _, test := range []struct {
		screen Screen
		want   string
	}{
		{Screen{}, "10:00 Hangup 山田太郎\n"},
		{Screen{Width: 21}, "10:00 Hangup 山田太郎\n"},
		{Screen{Width: 20}, "10:00 Hangup 山田太…\n"},
		{Screen{Width: 13}, "10:00 Hangup…\n"},
		{Screen{Width: 9}, "10:00 Ha…\n"},
		{Screen{Width: 16, Colour: true}, "\x1b[2m10:00 \x1b[0mHangup \x1b[31m山…\x1b[0m\n"},
	} {
		var out strings.Builder
		if err := test.screen.Print(&out, line); err != nil || out.String() != test.want {
			t.Errorf("%+v: %q, want %q, %v", test.screen, &out, test.want, err)
		}
	}
}

func TestJSON_DrivesNoTerminalAndSaysTheSame(t *testing.T) {
	for raw, want := range map[string]string{
		`{"a":"Zoë 山田"}`: `{"a":"Zoë 山田"}`, "{\"a\":\"\u009b31m\u007f\"}": `{"a":"\u009b31m\u007f"}`,
		"\"\u2028\U000e0001\"": `"\u2028\udb40\udc01"`,
	} {
		got := JSON([]byte(raw))
		var before, after any
		if err := errors.Join(json.Unmarshal([]byte(raw), &before), json.Unmarshal(got, &after)); err != nil || string(got) != want || !reflect.DeepEqual(before, after) {
			t.Errorf("%q becomes %q, want %q, %v", raw, got, want, err)
		}
	}
}
