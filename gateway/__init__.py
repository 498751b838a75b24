"""Gateway of Banyan: the API, custody, the order book, the relay, web pages and the command line."""
