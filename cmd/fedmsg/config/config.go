package config

import "time"

// Config is everything that can be said. See the package comment for the tags.
type Config struct {
	Topics
	ZeroMQ
	Signatures
	People
	Commands

	Web     Web     `key:"web" doc:"the HTTP listener: publishing, streams, history, pages"`
	Log     Log     `key:"log" doc:"the log of messages on disk"`
	Archive Archive `key:"archive" doc:"history beyond the log"`
	Words   Words   `key:"words" doc:"words for messages, by rules"`
	Bus     Bus     `key:"bus" doc:"where commands find the bus"`

	Moksha
	STOMP
	Retired
}

// Topics is how topics are made here, and which are taken.
type Topics struct {
	TopicPrefix      string        `key:"topic_prefix" flag:"topic-prefix" default:"org.fedoraproject" check:"topic" doc:"start of the topics made here; if said, the only one that is taken"`
	Environment      string        `key:"environment" flag:"environment" default:"dev" check:"word" doc:"word after the prefix in topics made here: dev, stg, prod"`
	OnlyEnvironments []string      `key:"only_environments" flag:"only-environment" doc:"with topic_prefix, refuse topics of other environments than these"`
	MaxAge           time.Duration `key:"max_age" flag:"max-age" default:"24h" unit:"s" min:"-1" doc:"refuse messages older than this by their own timestamp; -1 for no limit"`
	MaxSkew          time.Duration `key:"max_clock_skew" flag:"max-clock-skew" default:"5m" unit:"s" min:"-1" doc:"refuse messages further in the future than this; -1 for no limit"`
}

// ZeroMQ is the edge that fedmsg 1.x speaks.
type ZeroMQ struct {
	RelayInbound    []string            `key:"relay_inbound" flag:"relay-inbound" default:"tcp://127.0.0.1:2003" check:"address" doc:"take messages from ZeroMQ publishers that connect here; an empty list for none"`
	RelayOutbound   []string            `key:"relay_outbound" flag:"relay-outbound" default:"tcp://127.0.0.1:4001" check:"address" doc:"publish to ZeroMQ subscribers that connect here; else endpoints.relay_outbound"`
	Gateway         []string            `key:"gateway" flag:"gateway" default:"tcp://127.0.0.1:9940" check:"address" doc:"the same again, a way out that can be opened to outsiders alone"`
	Endpoints       map[string][]string `key:"endpoints" flag:"endpoint" check:"address" doc:"publishers to subscribe to, by name"`
	SRVEndpoints    []string            `key:"srv_endpoints" effect:"later" doc:"domains whose DNS records _fedmsg._tcp name further endpoints"`
	ReplayEndpoints map[string]string   `key:"replay_endpoints" effect:"later" check:"address" doc:"where what an endpoint said can be asked for again, by the endpoint's name"`
	HighWaterMark   int                 `key:"high_water_mark" flag:"high-water-mark" default:"0" min:"0" doc:"messages that may wait for one subscriber; 0 for 10,000, which fedmsg 1.x took for no limit"`
	Linger          time.Duration       `key:"zmq_linger" default:"1000" unit:"ms" min:"0" doc:"how long a socket that closes goes on sending"`
	GatewayPort     int                 `key:"fedmsg.consumers.gateway.port" min:"1" max:"65535" doc:"the gateway's port, on all addresses, if gateway is not said"`
	GatewayHWM      int                 `key:"fedmsg.consumers.gateway.high_water_mark" min:"0" doc:"high_water_mark of the gateway"`
	Unauthenticated []string            `key:"allow_unauthenticated_inbound" flag:"allow-unauthenticated-inbound" check:"network" doc:"networks that may publish unsigned messages, such as 10.0.0.0/8"`
}

// Signatures is who may say what.
type Signatures struct {
	Validate    bool                `key:"validate_signatures" default:"true" doc:"check signatures if there is a CA to check them with"`
	CA          string              `key:"ca_cert_location" flag:"ca" check:"pem" doc:"check signatures against the CA in this file, and refuse what is unsigned"`
	CRL         string              `key:"crl_location" flag:"crl" check:"pem" doc:"refuse the certificates that the list in this file revokes"`
	LegacySHA1  bool                `key:"legacy_sha1_certs" flag:"legacy-sha1-certs" doc:"accept certificates signed with SHA-1, and keys of 1024 bits, as old deployments have"`
	Routing     map[string][]string `key:"routing_policy" strict:"list" check:"policy" doc:"topics, and the names that may sign for them"`
	RoutingFile string              `key:"routing_policy_file" flag:"policy" check:"file" doc:"the same as a JSON object in a file; goes before routing_policy"`
	Nitpicky    bool                `key:"routing_nitpicky" flag:"nitpicky" doc:"refuse topics that the routing policy does not name"`
	Sign        bool                `key:"sign_messages" doc:"sign what HTTP publishers say, with a key from ssldir"`
	SSLDir      string              `key:"ssldir" default:"/etc/pki/fedmsg" doc:"directory of certificates and keys"`
	CertNames   map[string]string   `key:"certnames" check:"certname" doc:"certificate, without .crt, of a program.host"`
	CertName    string              `key:"certname" check:"certname" doc:"certificate, without .crt, that this bus signs with; else that of bus.HOST or shell.HOST in certnames"`
	SignCert    string              `key:"sign_cert" flag:"cert" doc:"sign what HTTP publishers say with the certificate in this file"`
	SignKey     string              `key:"sign_key" flag:"key" doc:"key file of sign_cert"`
	Backend     string              `key:"crypto_backend" default:"x509" one:"x509 gpg" doc:"what signs"`
	Backends    []string            `key:"crypto_validate_backends" effect:"later" default:"x509" one:"x509 gpg" doc:"what may have signed"`
	GPGHome     string              `key:"gpg_home" effect:"later" doc:"directory of the GnuPG key rings"`
	GPGKey      string              `key:"gpg_signing_key" effect:"later" doc:"GnuPG key to sign with"`
	GPGKeys     map[string]string   `key:"gpg_keys" effect:"later" doc:"GnuPG key of a program.host"`
	GPGKeyring  string              `key:"gpg_keyring" flag:"gpg-keyring" check:"file" doc:"file of GnuPG public keys whose signatures are taken, for the body alone"`
}

// People is what is made for people to read.
type People struct {
	IRC             []IRC             `key:"irc" doc:"channels that get to read what is on the bus"`
	IRCColors       map[string]string `key:"irc_color_lookup" doc:"colour of a service's messages on IRC, by the service"`
	IRCDefaultColor string            `key:"irc_default_color" default:"light grey" doc:"colour of all others"`
	IRCMethod       string            `key:"irc_method" default:"notice" one:"notice msg" doc:"how lines are sent to channels"`
	IRCCommands     string            `key:"irc_commands" default:"members" one:"members nobody" doc:"who may ask the bot something in private: members of its channels, or nobody"`
	LogLevel        string            `key:"log_level" flag:"log-level" default:"info" one:"debug info warn error" doc:"what the program tells of itself: debug, info, warn or error"`
	LogFormat       string            `key:"log_format" flag:"log-format" default:"text" one:"text json" doc:"how: text or json"`
}

// An IRC is one channel of a network.
type IRC struct {
	Network      string        `key:"network" default:"irc.libera.chat" doc:"host of the server"`
	Port         int           `key:"port" min:"0" max:"65535" doc:"port of the server (default: 6667, or 6697 with ssl)"`
	SSL          bool          `key:"ssl" doc:"speak TLS, and verify the server"`
	CA           string        `key:"ca_file" check:"pem" doc:"CA of the server; else those of the system"`
	ServerName   string        `key:"server_name" doc:"name in the server's certificate, if it is not network"`
	Certificate  string        `key:"certificate" check:"pem" doc:"client certificate"`
	CertKey      string        `key:"certificate_key" check:"file" doc:"its key"`
	Nickname     string        `key:"nickname" default:"fedmsg-bot" doc:"name of the bot"`
	PasswordFile string        `key:"password_file" check:"file" doc:"file with the server's password"`
	Account      string        `key:"account" doc:"account of the bot (default: nickname)"`
	AccountFile  string        `key:"account_password_file" check:"file" doc:"file with the account's password"`
	SASL         string        `key:"sasl" one:"plain external" doc:"how to log in to the account before joining: plain or external"`
	Regain       string        `key:"regain" doc:"what NickServ is told to get the name back"`
	Channel      string        `key:"channel" doc:"channel to join; # is put before if it lacks"`
	ChannelKey   Secret        `key:"channel_key" doc:"key of the channel"`
	Pretty       bool          `key:"make_pretty" doc:"with colours"`
	Terse        bool          `key:"make_terse" doc:"sentences instead of bodies"`
	Short        any           `key:"make_short" effect:"none" doc:"links are not shortened: nobody should learn who reads them"`
	LineRate     time.Duration `key:"line_rate" default:"3" unit:"s" min:"0" doc:"time for one line"`
	Timeout      time.Duration `key:"timeout" default:"120" unit:"s" min:"1" doc:"give up on a silent server after this"`
	Filters      Filters       `key:"filters" doc:"what is not said"`
}

// Filters are expressions; a message that one of them is found in is left out.
type Filters struct {
	Topic []string `key:"topic" check:"regexp" doc:"expressions that are looked for in the topic"`
	Body  []string `key:"body" check:"regexp" doc:"expressions that are looked for in the body"`
}

// Web is the HTTP edge.
type Web struct {
	Listen     string `key:"listen" flag:"http" env:"HTTP" default:"127.0.0.1:8330" check:"listen" doc:"HOST:PORT to listen for HTTP on; empty for not at all, port 0 for a free one"`
	TLS        TLS    `key:"tls" doc:"TLS of the HTTP listener"`
	Metrics    string `key:"metrics" flag:"metrics" check:"listen" doc:"HOST:PORT to serve /metrics on too; needed if listen is not on this machine alone"`
	SessionKey Secret `key:"session_key" effect:"later" doc:"key that signs sessions"`
	Websocket  int    `key:"websocket_port" flag:"websocket-server-port" min:"0" max:"65535" doc:"port of WebSockets as moksha had them, beside /api/v1/ws of the HTTP listener; 0 for none"`
}

// TLS is TLS of a listener.
type TLS struct {
	Cert       string `key:"cert" flag:"http-cert" check:"pem" doc:"speak TLS, with the certificate in this file"`
	Key        string `key:"key" flag:"http-key" check:"file" doc:"its key file"`
	ClientCA   string `key:"client_ca" flag:"http-client-ca" check:"pem" doc:"let client certificates of the CA in this file publish over HTTP"`
	MinVersion string `key:"min_version" default:"1.2" one:"1.2 1.3" doc:"oldest version of TLS that is spoken"`
}

// Log is the log of messages.
type Log struct {
	Dir       string        `key:"dir" flag:"dir" env:"DIR" doc:"directory of the log (default $STATE_DIRECTORY, else $XDG_STATE_HOME/fedmsg)"`
	KeepFor   time.Duration `key:"keep_for" flag:"keep-for" default:"30d" unit:"s" min:"-1" doc:"drop log entries older than this; -1 keeps them for ever"`
	KeepBytes int64         `key:"keep_bytes" flag:"keep-bytes" default:"8GiB" unit:"bytes" min:"-1" doc:"drop the oldest log entries beyond so many bytes; -1 for no limit"`
	MinFree   int64         `key:"min_free" flag:"min-free" unit:"bytes" min:"0" doc:"refuse messages while the file system has fewer bytes free (default: a twentieth, at most 64 MiB)"`
	Sync      string        `key:"sync" default:"always" one:"always interval" doc:"when a message is on disk: before its publisher is told (always), or a little later (interval)"`
}

// Archive is history.
type Archive struct {
	Enabled      bool   `key:"enabled" flag:"!no-archive" default:"true" doc:"keep history beyond what the log keeps"`
	URL          string `key:"url" flag:"archive" doc:"where: a directory (default: archive beside the log), or postgres://HOST/DATABASE"`
	PasswordFile string `key:"password_file" check:"file" doc:"where the archive is in PostgreSQL: file with its password, and nothing else"`
}

// Words is how messages get words.
type Words struct {
	Rules    string            `key:"rules" flag:"rules" env:"RULES" check:"dir" doc:"folder of rule files that go before those built in"`
	Accounts string            `key:"accounts" flag:"accounts" env:"ACCOUNTS" check:"file" doc:"file that tells accounts: a JSON object of nicks, or mail addresses, and accounts"`
	Settings map[string]string `key:"settings" flag:"rule-setting" doc:"settings for rules that ask for one"`
	Fetch    bool              `key:"fetch" flag:"fetch" doc:"let rules fetch pages of the sites that they name, such as patches"`
}

// Bus is where commands find a bus.
type Bus struct {
	URL       string        `key:"url" env:"BUS" default:"http://127.0.0.1:8330" doc:"address of the bus: http://HOST:PORT, or tcp://HOST:PORT of a ZeroMQ socket"`
	TokenFile string        `key:"token_file" env:"TOKEN_FILE" doc:"file with the token to show to the bus"`
	Token     Secret        `key:"token" env:"TOKEN" doc:"the token itself; better in a file"`
	Timeout   time.Duration `key:"timeout" env:"TIMEOUT" unit:"s" min:"0" doc:"give up on a message after this; 0 when the bus cannot be reached"`
}

// Commands are keys of fedmsg's commands.
type Commands struct {
	DatagrepperURL  string `key:"datagrepper_url" effect:"later" check:"url" doc:"datagrepper to fill gaps from"`
	StatusDirectory string `key:"status_directory" effect:"later" doc:"where fedmsg's consumers kept what they saw last; read once, when a reader is made"`
	SkipLast        bool   `key:"skip_last_message" effect:"later" doc:"leave out the first message of a gap"`
}

// Moksha are keys of the framework under fedmsg 1.x.
type Moksha struct {
	MonitoringSocket string `key:"moksha.monitoring.socket" check:"address" doc:"where this bus reports on itself, as fedmsg check reads: ipc://FILE or tcp://HOST:PORT"`
	MonitoringMode   string `key:"moksha.monitoring.socket.mode" doc:"mode of that socket's file, octal digits"`
	WebsocketPort    int    `key:"moksha.livesocket.websocket.port" min:"0" max:"65535" doc:"port of WebSockets as moksha had them; web.websocket_port says the same"`
	WebsocketHost    string `key:"moksha.livesocket.websocket.interface" default:"127.0.0.1" doc:"address of that port; 0.0.0.0 for all"`
	WebsocketIn      bool   `key:"moksha.livesocket.websocket.client2server" effect:"none" doc:"what WebSocket clients say is not put on the bus: they did not say who they are"`
	LivesocketType   string `key:"moksha.livesocket.backend" effect:"none" doc:"there is one kind"`
}

// STOMP is the bridge to brokers of that protocol.
type STOMP struct {
	URI          string        `key:"stomp_uri" effect:"later" doc:"HOST:PORT of brokers, with commas"`
	User         string        `key:"stomp_user" effect:"later" doc:"name to log in with"`
	Password     Secret        `key:"stomp_pass" effect:"later" doc:"password to log in with"`
	PasswordFile string        `key:"stomp_pass_file" effect:"later" check:"file" doc:"file with that password"`
	Cert         string        `key:"stomp_ssl_crt" effect:"later" check:"pem" doc:"client certificate"`
	CertKey      string        `key:"stomp_ssl_key" effect:"later" check:"file" doc:"its key"`
	Heartbeat    time.Duration `key:"stomp_heartbeat" effect:"later" unit:"ms" min:"0" doc:"time between signs of life"`
	Queue        string        `key:"stomp_queue" effect:"later" doc:"queue in place of topics"`
	Broker       string        `key:"stomp_broker" effect:"later" doc:"host of one broker"`
	BrokerPort   int           `key:"stomp_port" effect:"later" default:"61613" min:"1" max:"65535" doc:"its port"`
	Delay        time.Duration `key:"stomp_delay" effect:"later" default:"0.1" unit:"s" min:"0" doc:"first wait before connecting again"`
	AckMode      string        `key:"stomp_ack_mode" effect:"later" default:"auto" one:"auto client client-individual" doc:"what is acknowledged to the broker"`
	Unescape     bool          `key:"stomp_unescape_headers" effect:"later" default:"true" doc:"read escapes in headers"`
	Nacks        bool          `key:"stomp_send_explicit_nacks" effect:"later" default:"true" doc:"tell the broker what could not be worked on"`
}
