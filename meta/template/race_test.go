//go:build race

package template_test

// slowdown is how many times as long everything takes under the race detector.
const slowdown = 10
