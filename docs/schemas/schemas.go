package schemas

import _ "embed" // Request and Reply

var (
	// Request is the schema of a request for an Action.
	//go:embed request.schema.json
	Request []byte
	// Reply is the schema of a reply, and of each part of a stream.
	//go:embed reply.schema.json
	Reply []byte
)
