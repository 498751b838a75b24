"""Gateway of Banyan: API, custody, order book, relay, web pages and the command line."""
