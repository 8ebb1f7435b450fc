//go:build !race

package history_test

// raceDetector says that everything takes ten times as long.
const raceDetector = false
