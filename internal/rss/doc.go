// Package rss tells how much memory the process has resident, for tests of size. It can
// on Linux alone.
package rss
