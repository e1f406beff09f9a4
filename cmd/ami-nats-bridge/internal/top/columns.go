package top

import (
	"charm.land/lipgloss/v2"

	"github.com/ami-nats-bridge/ami-nats-bridge/bridge/view"
)

// columns are the widths of the columns that there is room for; 0 is none.
type columns struct {
	name, since, until          int
	leads, stands               int // who leads and who stands by, where bridges share servers
	stored, spark, bar          int
	refused, pending, gap, lost int
	sessions, breaker, dropped  int
	memory                      bool // NATS is down: how full the memory is in place of since when
}

// fixedColumns are sign, state, events, outbox, calls and waiting, with their blanks.
const fixedColumns = 3 + 14 + 7 + 8 + 6 + 5

func (a *painter) columns() columns {
	c := columns{since: 5, until: 5, memory: !a.snap.NATS.Up}
	stands, past := 0, false
	for i := range a.snap.Servers {
		s := &a.snap.Servers[i]
		past = past || s.Rates != nil && len(s.Rates.InPast) > 0
		c.name = max(c.name, lipgloss.Width(s.Name))
		c.since, c.until = max(c.since, lipgloss.Width(a.since(s))), max(c.until, lipgloss.Width(until(&s.Verdict, a.now)))
		if s.HA != nil {
			c.leads = max(c.leads, len("LEADS"), lipgloss.Width(s.HA.Who())+2)
			stands = max(stands, len("STANDS BY"), lipgloss.Width(s.HA.StandbysText()))
		}
	}
	if c.memory {
		c.since, c.until = 10, max(5, c.until-len(view.UntilFull+" "))
	}
	left := a.w - fixedColumns - c.since - c.until - 2
	if c.leads > 0 {
		c.leads = min(c.leads, max(len("LEADS"), left-1-max(c.name, 6)-1, left/3), longestLeads)
		left -= c.leads + 1
	}
	c.name = min(max(c.name, 6), max(8, left-1))
	left -= c.name + 1
	for _, more := range []struct {
		to    *int
		n     int
		cells int // that it takes
	}{
		{&c.stored, 6, 7}, {&c.lost, 10, 12}, {&c.spark, 10, 12}, {&c.bar, 10, 12}, {&c.refused, 7, 8},
		{&c.stands, min(stands, 40), min(stands, 40) + 2}, {&c.pending, 7, 8}, {&c.gap, 12, 14},
		{&c.sessions, 9, 10}, {&c.breaker, 9, 10}, {&c.dropped, 7, 8}, {&c.spark, 20, 10},
	} {
		if left >= more.cells && more.n > 0 && (past || more.to != &c.spark) {
			left -= more.cells
			*more.to = more.n
		}
	}
	if c.memory {
		c.bar = 0
	}
	return c
}

// longestLeads bounds the column of who leads.
const longestLeads = 24

// lastGap is when the last gap of s ended.
func (a *painter) lastGap(s *view.Server) string {
	switch {
	case len(s.Gaps) == 0:
		return ""
	case s.Gaps[0].To.IsZero():
		return "open"
	}
	return a.ui.when(s.Gaps[0].To, a.now)
}

// leads is who leads a server, in n cells, and whether a bridge stands by in sync. Of a
// name that is too long its end stays: the nodes of one fleet begin alike.
func (a *painter) leads(l *line, ha *view.HA, n int) {
	sign, tone := "", plain
	switch {
	case ha == nil, ha.Leader == "" && len(ha.Standbys) == 0:
	case ha.Covered():
		sign = " " + a.p.either("●", "o")
	case len(ha.Standbys) > 0:
		sign, tone = " "+a.p.either("▲", "!"), warn
	}
	if ha != nil && ha.Leader == "" {
		tone = warn
	}
	l.cell(tone, end(ha.Who(), n-lipgloss.Width(sign))+sign, n)
}
