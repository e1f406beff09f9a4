// Package audit tests the audit: each request has its records, they follow each
// other, and whoever changes one is found out.
package audit
