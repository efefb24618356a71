/* The do-nothing program that every contender runs as its check and its set chain. */
int main(void)
{
	return 0;
}
