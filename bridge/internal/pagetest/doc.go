// Package pagetest holds the pages of docs/ to what the code does.
package pagetest
