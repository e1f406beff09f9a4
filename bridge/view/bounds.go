package view

import "time"

// What a Model keeps, and what happens beyond: it is ignored and counted in
// Snapshot.Ignored, or the oldest goes.
const (
	maxServers  = 4096    // ignored
	maxNodes    = 256     // ignored, unless one is silent, which goes
	maxSessions = 32      // of a server; ignored
	maxStreams  = 32      // of a node; ignored
	maxStandbys = 32      // of a server; ignored
	maxDropped  = 16      // reasons of drops; ignored
	maxPayload  = 1 << 20 // bytes of a message or of an object; ignored
	maxText     = 256     // bytes of a text; cut
	maxObjects  = 50_000  // of a server's present; ignored
	maxPresent  = 500_000 // objects of all servers; ignored

	ringSize    = 60               // points of a rate's and of a queue's past
	ringStep    = 10 * time.Second // of a rate
	queueStep   = time.Minute      // of a queue
	keptGaps    = 20               // of a server; the oldest goes
	keptChanges = 200              // of all; the oldest goes
	skewPast    = 8                // messages that say how far a node's clock is off

	shownQueues  = 1000 // in a Snapshot; of more only the number
	shownAgents  = 2000 // in a Snapshot; of more only the number
	shownCallers = 10   // of a queue; of more only the number
	shownCalls   = 200  // of a server; of more only the number
)

// The times by which a state is judged.
const (
	skewSmall       = 2 * time.Second    // by which clocks may differ, or a message be late
	driftPart       = 5000               // of the time: by so much two clocks come apart at most
	staleIntervals  = 3                  // without a message: nothing is known
	losingIntervals = 2                  // after a drop: it is losing events
	rateMemory      = 30 * time.Second   // of the moving average of an outbox's growth
	forecastLimit   = 24 * time.Hour     // what is farther off is "not filling"
	forecastNear    = 5 * time.Minute    // an outbox that is full by then is in trouble
	lostSpan        = time.Hour          // of Totals.Lost
	nodeForgotten   = time.Hour          // of a silent bridge whose servers others have
	serverForgotten = 7 * 24 * time.Hour // of a silent server that no bridge names
	shortestRate    = time.Second        // between two messages that make a rate
	takeOverTime    = 5 * time.Second    // without a leader: by then a bridge takes over
	stalledTime     = 10 * time.Second   // nothing is stored: by then a stream has a leader again
)
