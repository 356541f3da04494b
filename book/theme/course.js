// The copy button of a transcript copies its commands and leaves the output.
// It listens before mdBook's own listener does.
document.addEventListener('click', (event) => {
    const button = event.target.closest('.transcript .clip-button');
    const commands = button && button.closest('.transcript').querySelectorAll('.command');
    if (!commands || commands.length === 0 || !navigator.clipboard) {
        return;
    }
    event.stopImmediatePropagation();
    const text = Array.from(commands, (command) => command.textContent).join('\n');
    navigator.clipboard.writeText(text).then(() => {
        button.firstChild.innerText = 'Copied!';
        button.classList.add('tooltipped');
    });
}, true);
