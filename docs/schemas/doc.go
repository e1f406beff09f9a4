// Package schemas holds the JSON Schemas of what the bridge takes and says.
package schemas
