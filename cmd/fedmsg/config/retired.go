package config

import "time"

// Retired are keys of fedmsg 1.x that are taken, checked and not needed.
type Retired struct {
	Active            bool           `key:"active" effect:"none" doc:"publishers always connect to the bus"`
	Name              string         `key:"name" effect:"none" doc:"publishers need no entry of their own in endpoints"`
	Mute              bool           `key:"mute" effect:"none" doc:"who does not want to publish does not"`
	TopicPrefixRE     string         `key:"topic_prefix_re" effect:"none" doc:"rules find the service in a topic by its place"`
	IOThreads         int            `key:"io_threads" effect:"none" default:"1" min:"0" doc:"as many as there are processors"`
	PostInitSleep     time.Duration  `key:"post_init_sleep" effect:"none" unit:"s" min:"0" doc:"nothing needs to be waited for"`
	Timeout           time.Duration  `key:"timeout" effect:"none" unit:"s" min:"0" doc:"fedmsg 1.x did not use it; bus.timeout is how long commands try"`
	PrintConfig       bool           `key:"print_config" effect:"none" doc:"fedmsg config show prints it"`
	ConfigFilename    any            `key:"config_filename" effect:"none" doc:"--config names files"`
	ZMQEnabled        bool           `key:"zmq_enabled" effect:"none" default:"true" doc:"ZeroMQ is spoken wherever an address is given for it"`
	ZMQStrict         bool           `key:"zmq_strict" effect:"none" doc:"patterns with a star in the middle mean what they say"`
	Keepalive         int            `key:"zmq_tcp_keepalive" effect:"none" doc:"connections are kept alive by the protocol"`
	KeepaliveCnt      int            `key:"zmq_tcp_keepalive_cnt" effect:"none" doc:"as before"`
	KeepaliveIdle     int            `key:"zmq_tcp_keepalive_idle" effect:"none" doc:"as before"`
	KeepaliveIntvl    int            `key:"zmq_tcp_keepalive_intvl" effect:"none" doc:"as before"`
	ReconnectIvl      time.Duration  `key:"zmq_reconnect_ivl" effect:"none" unit:"ms" min:"0" doc:"a tenth of a second at first, then longer, with chance"`
	ReconnectIvlMax   time.Duration  `key:"zmq_reconnect_ivl_max" effect:"none" unit:"ms" min:"0" doc:"as before"`
	SubscribeTo       any            `key:"zmq_subscribe_endpoints" effect:"none" doc:"endpoints says it"`
	PublishTo         any            `key:"zmq_publish_endpoints" effect:"none" doc:"relay_outbound says it"`
	SubscribeMethod   string         `key:"zmq_subscribe_method" effect:"none" doc:"endpoints are connected to"`
	RelayEnabled      bool           `key:"fedmsg.consumers.relay.enabled" effect:"none" doc:"relay_inbound = [] turns it off"`
	GatewayEnabled    bool           `key:"fedmsg.consumers.gateway.enabled" effect:"none" doc:"gateway = [] turns it off"`
	IRCEnabled        bool           `key:"fedmsg.consumers.ircbot.enabled" effect:"none" doc:"the bot runs where irc names a channel"`
	DummyEnabled      bool           `key:"fedmsg.consumers.dummy.enabled" effect:"none" doc:"log_level = \"debug\" tells more"`
	CollectdEnabled   bool           `key:"fedmsg.commands.collectd.enabled" effect:"none" doc:"fedmsg collectd needs no switch"`
	CollectdInterval  time.Duration  `key:"collectd_interval" effect:"none" unit:"s" min:"0" doc:"fedmsg collectd --interval says it"`
	CertPrefix        string         `key:"cert_prefix" effect:"none" check:"certname" doc:"the bus signs, or --cert and --key name the files"`
	CACertCache       any            `key:"ca_cert_cache" effect:"none" doc:"files are read again when they change"`
	CACertCacheExpiry int            `key:"ca_cert_cache_expiry" effect:"none" doc:"as before"`
	CRLCache          any            `key:"crl_cache" effect:"none" doc:"as before"`
	CRLCacheExpiry    int            `key:"crl_cache_expiry" effect:"none" doc:"as before"`
	PersistentStore   any            `key:"persistent_store" effect:"none" doc:"the log keeps everything"`
	Logging           map[string]any `key:"logging" effect:"none" doc:"log_level and log_format say it"`
	BlockingMode      bool           `key:"moksha.blocking_mode" effect:"none" doc:"readers confirm what they worked on"`
	Workers           int            `key:"moksha.workers_per_consumer" effect:"none" min:"0" doc:"readers say how much they do at once"`
	Threadpool        int            `key:"moksha.threadpool_size" effect:"none" min:"0" doc:"as before"`
	AMQPBroker        string         `key:"amqp_broker" effect:"none" doc:"the qpid of moksha is gone"`
	AMQPUser          string         `key:"amqp_broker_username" effect:"none" doc:"as before"`
	AMQPPassword      Secret         `key:"amqp_broker_password" effect:"none" doc:"as before"`
	AMQPSSL           bool           `key:"amqp_broker_ssl" effect:"none" doc:"as before"`
	AMQPThreaded      bool           `key:"amqp_broker_threaded" effect:"none" doc:"as before"`
	TweetEndpoints    any            `key:"tweet_endpoints" effect:"none" doc:"nobody tweets any more"`
	TweetHibernate    any            `key:"tweet_hibernate_duration" effect:"none" doc:"as before"`
	TweetPause        any            `key:"tweet_intermessage_pause" effect:"none" doc:"as before"`
	Daemon            bool           `key:"daemon" effect:"none" doc:"systemd runs it"`
}
