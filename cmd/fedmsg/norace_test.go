//go:build !race

package main

const (
	slowdown       = 1
	raceOverheadMB = 0
)
