package body

// Elements returns the JSON texts of the objects and lists in a list that was read
// already; they share memory with it.
func Elements(list []byte) (texts [][]byte) {
	depth, quoted, start := 0, false, 0
	for i := 1; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth == 0 {
				start = i
			}
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				texts = append(texts, list[start:i+1])
			}
		}
	}
	return texts
}
