// The copy button of a transcript copies its commands and leaves the output; that of a
// step copies the lines to type. It listens before mdBook's own listener does.
document.addEventListener('click', (event) => {
    const button = event.target.closest('.transcript .clip-button, .hunk .clip-button');
    const block = button && button.closest('.transcript, .hunk');
    const lines = block ? Array.from(block.querySelectorAll('.command, ins')) : [];
    if (lines.length === 0) {
        return;
    }
    event.stopImmediatePropagation();
    const text = lines.map((line) => line.textContent.replace(/\n$/, '')).join('\n');
    // Only a secure context has a clipboard: https, or a page from this machine.
    const copied = navigator.clipboard ? navigator.clipboard.writeText(text) : Promise.reject();
    copied.catch(() => copyBySelecting(text, button)).then(() => {
        button.firstChild.innerText = 'Copied!';
        button.classList.add('tooltipped');
    }, () => {
        button.firstChild.innerText = 'Not copied';
        button.classList.add('tooltipped');
    });
}, true);

// Where lines only go, there is nothing to copy.
document.querySelectorAll('.hunk').forEach((hunk) => {
    if (!hunk.querySelector('ins')) {
        hunk.querySelectorAll('.clip-button').forEach((button) => button.remove());
    }
});

// The way before there was navigator.clipboard.
function copyBySelecting(text, button) {
    const field = document.createElement('textarea');
    field.value = text;
    field.style = 'position: fixed; top: 0; opacity: 0';
    document.body.append(field);
    field.select();
    const copied = document.execCommand('copy');
    field.remove();
    button.focus();
    if (!copied) {
        throw new Error('the browser does not copy');
    }
}

// mdBook's button for the table of contents is a label, which no key reaches.
const contents = document.getElementById('mdbook-sidebar-toggle');
if (contents) {
    contents.setAttribute('role', 'button');
    contents.tabIndex = 0;
    contents.addEventListener('keydown', (event) => {
        if (event.key === 'Enter' || event.key === ' ') {
            event.preventDefault();
            contents.click();
        }
    });
}

// On paper nothing can be opened.
let opened = [];
addEventListener('beforeprint', () => {
    opened = [...document.querySelectorAll('details:not([open])')];
    opened.forEach((details) => details.open = true);
});
addEventListener('afterprint', () => opened.forEach((details) => details.open = false));
