//go:build race

package main

// Under the race detector everything takes longer and more memory.
const (
	slowdown       = 10
	raceOverheadMB = 64
)
